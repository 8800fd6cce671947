/*
 * supervisor.h: `sampan server` keeps the control plane and the node agent of this machine running;
 * `sampan up`, `down` and `status` start it in the background, stop it, and tell how it is.
 */
#ifndef SAMPAN_SUPERVISOR_H
#define SAMPAN_SUPERVISOR_H

/* Programs; argv[0] is their name. Return the exit code. */
int server_main(int argc, char **argv);
int up_main(int argc, char **argv);
int down_main(int argc, char **argv);
int status_main(int argc, char **argv);

#endif

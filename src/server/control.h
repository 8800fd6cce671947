/*
 * control.h: the control plane as one process: API server, controllers and scheduler over one
 * store, on threads of their own. `sampan control` runs all three, `kube-apiserver` the first
 * alone.
 */
#ifndef SAMPAN_CONTROL_H
#define SAMPAN_CONTROL_H

/* Programs; argv[0] is their name. Return the exit code. */
int control_main(int argc, char **argv);
int kube_apiserver_main(int argc, char **argv);

#endif

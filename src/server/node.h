/* node.h: everything that runs on a node, in one process: `sampan node`. */
#ifndef SAMPAN_SERVER_NODE_H
#define SAMPAN_SERVER_NODE_H

int node_main(int argc, char **argv);

#endif

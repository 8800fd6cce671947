/* node.h: everything that runs on a node, in one process: `sampan node`. */
#ifndef SAMPAN_SERVER_NODE_H
#define SAMPAN_SERVER_NODE_H

int node_main(int argc, char **argv);
/* `kubelet`: the same without the service proxy and DNS, which `kube-proxy` has. */
int node_kubelet_main(int argc, char **argv);
/* The service proxy and DNS. */
int kube_proxy_main(int argc, char **argv);

#endif

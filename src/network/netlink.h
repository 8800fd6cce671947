/* netlink.h: the few rtnetlink requests that the pod network needs. Blocking; a socket belongs to
 * one thread at a time. */
#ifndef SAMPAN_NETLINK_H
#define SAMPAN_NETLINK_H

#include <netinet/in.h>

#include "base/base.h"

struct mnl_socket;

/* A route socket in this network namespace, or in the one at netns_path (NULL: this one). Negative
 * errno. */
int netlink_open(const char *netns_path, struct mnl_socket **ret);
void netlink_close(struct mnl_socket *s);
/* Takes the calling thread into a network namespace; *ret_back is for netns_leave(), which brings it
 * back or ends the program: a thread that stayed would do the node's work in a pod's network. */
int netns_enter(const char *path, int *ret_back);
void netns_leave(int back);

/* All return 0 or negative errno. */
int netlink_add_bridge(struct mnl_socket *s, const char *name, int mtu); /* -EEXIST */
/* A pair: `name` here, enslaved to bridge and up; `peer` in the namespace of netns_fd. */
int netlink_add_veth(struct mnl_socket *s, const char *name, int bridge_index, const char *peer,
	int netns_fd, int mtu);
int netlink_delete_link(struct mnl_socket *s, const char *name); /* -ENODEV */
int netlink_link_up(struct mnl_socket *s, int index);
int netlink_link_index(struct mnl_socket *s, const char *name); /* index, or negative errno */
int netlink_add_address(
	struct mnl_socket *s, int index, struct in_addr ip, int prefix); /* 0 when it is there */
/* gateway 0.0.0.0: on the link itself; prefix 0: the default route. Replaces. */
int netlink_add_route(
	struct mnl_socket *s, int index, struct in_addr to, int prefix, struct in_addr gateway);

#endif

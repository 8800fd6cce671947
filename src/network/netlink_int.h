/* netlink_int.h: how requests are made and answers read, for netlink.c and netlink_route.c. */
#ifndef SAMPAN_NETLINK_INT_H
#define SAMPAN_NETLINK_INT_H

#include <libmnl/libmnl.h>

#include "network/netlink.h"

struct netlink_request {
	char buf[1024];
	struct nlmsghdr *head;
	void *body;
};

void netlink_begin(struct netlink_request *q, int type, int flags, size_t body_size);
/* Sends it and reads until the acknowledgement, or the end of a dump; each may be NULL. */
int netlink_talk_each(struct mnl_socket *s, struct netlink_request *q, mnl_cb_t each, void *data);
int netlink_talk(struct mnl_socket *s, struct netlink_request *q);
void netlink_put_ip(struct netlink_request *q, int type, const struct ip_addr *ip);
/* False when the attribute has another size. */
bool netlink_take_ip(const struct nlattr *a, int family, struct ip_addr *ret);
/* By its name, or its index when that is NULL. */
int netlink_find_link(struct mnl_socket *s, const char *name, int index, struct netlink_link *ret);

#endif

/*
 * netlink.h: the rtnetlink requests that the pod network and the overlays need. Blocking; a socket
 * belongs to one thread at a time. Both address families.
 */
#ifndef SAMPAN_NETLINK_H
#define SAMPAN_NETLINK_H

#include "network/address.h"

struct mnl_socket;

/* A route socket in this network namespace, or in the one at netns_path (NULL: this one). Negative
 * errno. */
int netlink_open(const char *netns_path, struct mnl_socket **ret);
void netlink_close(struct mnl_socket *s);
/* A socket that is told of links and addresses that change here; never blocks. Its descriptor
 * becomes readable then; netlink_drain() reads and says whether there was anything. */
int netlink_open_events(struct mnl_socket **ret);
int netlink_fd(struct mnl_socket *s);
bool netlink_drain(struct mnl_socket *s);
/* Takes the calling thread into a network namespace; *ret_back is for netns_leave(), which brings
 * it back or ends the program: a thread that stayed would do the node's work in a pod's network. */
int netns_enter(const char *path, int *ret_back);
void netns_leave(int back);

/* All return 0 or negative errno. */
int netlink_add_bridge(
	struct mnl_socket *s, const char *name, int mtu, const uint8_t mac[MAC_LEN]); /* -EEXIST */
/* A pair: `name` here, enslaved to bridge and up; `peer` in the namespace of netns_fd. */
int netlink_add_veth(struct mnl_socket *s, const char *name, int bridge_index, const char *peer,
	int netns_fd, int mtu);
struct netlink_vxlan {
	uint32_t vni;
	uint16_t port;
	struct ip_addr local;
};
/* A device that knows nothing but what netlink_add_fdb() says. -EEXIST */
int netlink_add_vxlan(struct mnl_socket *s, const char *name, const struct netlink_vxlan *v,
	int mtu, const uint8_t mac[MAC_LEN]);
int netlink_delete_link(struct mnl_socket *s, const char *name); /* -ENODEV */
int netlink_link_up(struct mnl_socket *s, int index);
int netlink_set_mtu(struct mnl_socket *s, int index, int mtu);
int netlink_set_mac(struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN]);
int netlink_set_master(struct mnl_socket *s, int index, int bridge_index);
/* A bridge's port that also gets back what came in through it (a service's address may lead there).
 */
int netlink_set_hairpin(struct mnl_socket *s, int index);

struct netlink_link {
	int index, mtu, master;
	char name[16], kind[16];
	uint8_t mac[MAC_LEN];
	struct netlink_vxlan vxlan; /* of a vxlan */
};
int netlink_get_link(struct mnl_socket *s, const char *name, struct netlink_link *ret);
int netlink_link_index(struct mnl_socket *s, const char *name); /* index, or negative errno */
/* The link that has this address, with its MTU; -ENODEV. */
int netlink_link_of(struct mnl_socket *s, const struct ip_addr *ip, struct netlink_link *ret);

int netlink_add_address(struct mnl_socket *s, int index, const struct ip_addr *ip,
	int bits); /* 0 when it is there; usable at once (no duplicate address detection) */
int netlink_delete_address(struct mnl_socket *s, int index, const struct ip_addr *ip, int bits);
/* Every address of a link, for each. */
int netlink_each_address(struct mnl_socket *s, int index,
	void (*fn)(void *user_data, const struct ip_addr *ip, int bits), void *user_data);

struct netlink_route {
	struct ip_prefix to; /* bits 0: the default route */
	struct ip_addr via;  /* family 0: on the link itself */
	struct ip_addr src;  /* preferred source; family 0: the kernel's choice */
	int index;           /* of the link; 0: the kernel finds it */
	int table;           /* 0: main */
	int protocol;        /* who made it; 0: static */
	bool onlink;         /* via is a neighbour even when no route says so */
};
int netlink_add_route(struct mnl_socket *s, const struct netlink_route *r); /* replaces */
int netlink_delete_route(struct mnl_socket *s, const struct netlink_route *r);
int netlink_each_route(struct mnl_socket *s, int family, int protocol,
	void (*fn)(void *user_data, const struct netlink_route *r), void *user_data);

/* ip -> mac on a link, for good. */
int netlink_add_neighbour(
	struct mnl_socket *s, int index, const struct ip_addr *ip, const uint8_t mac[MAC_LEN]);
int netlink_delete_neighbour(struct mnl_socket *s, int index, const struct ip_addr *ip);
/* The permanent ones of a link. */
int netlink_each_neighbour(struct mnl_socket *s, int family, int index,
	void (*fn)(void *user_data, const struct ip_addr *ip, const uint8_t mac[MAC_LEN]),
	void *user_data);
/* Forwarding of a link address: dst is a tunnel's other end (vxlan); without one, index is a
 * bridge's port behind which mac is. */
int netlink_add_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst);
int netlink_delete_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst);
int netlink_each_fdb(struct mnl_socket *s, int index,
	void (*fn)(void *user_data, const uint8_t mac[MAC_LEN], const struct ip_addr *dst),
	void *user_data); /* permanent ones */

/* What comes in through a link from these addresses looks into this table before others (policy
 * routing). */
struct netlink_rule {
	const char *in_link;
	struct ip_prefix from; /* its family is the rule's; bits 0: from any */
	int table, priority;
};
int netlink_add_rule(struct mnl_socket *s, const struct netlink_rule *rule);
int netlink_delete_rule(struct mnl_socket *s, const struct netlink_rule *rule);

/* Whether the kernel (or a module that it loads for this) serves that generic netlink family. */
bool netlink_has_family(const char *name);

#endif

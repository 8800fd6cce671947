/*
 * ip.h: IP addresses and CIDRs as API fields hold them (apimachinery util/validation ip.go, Go's
 * net and netip).
 */
#ifndef SAMPAN_VALIDATION_IP_H
#define SAMPAN_VALIDATION_IP_H

#include "apiserver/field.h"

struct ip_addr {
	bool v4;           /* also for ::ffff:a.b.c.d, as Go's net.IP */
	bool mapped;       /* was written as ::ffff:a.b.c.d */
	bool leading_zero; /* an octet was written with one */
	uint8_t b[16];     /* IPv4 in b[0..3] */
};

struct ip_net {
	struct ip_addr ip;      /* as written */
	int bits;               /* prefix length, relative to ip's own family */
	bool leading_zero;      /* of the prefix length */
	struct ip_addr network; /* the bits beyond the prefix cleared */
};

/* False when it is not an address. Accepts leading zeros in octets, like Go's ParseIPSloppy. */
bool ip_parse(struct str text, struct ip_addr *ret);
bool ip_net_parse(struct str text, struct ip_net *ret);
struct str ip_text(struct arena *a, const struct ip_addr *ip); /* canonical, RFC 5952 */
struct str ip_net_text(struct arena *a, const struct ip_net *net);
bool ip_is_v6_text(struct str text);
bool ip_net_contains(const struct ip_net *net, const struct ip_addr *ip);
/* Two texts of different families; false also when one does not parse. */
bool ip_texts_dual_stack(struct str_vec texts);

/* Fields older than strict validation: any spelling that is one address; what stood in `old` may
 * stay. */
void validate_ip_legacy(struct str v, const struct str_vec *old, const struct field_path *p,
	struct field_errors *e);
void validate_cidr_legacy(struct str v, const struct str_vec *old, const struct field_path *p,
	struct field_errors *e);
/* New fields: canonical form only. */
void validate_ip(struct str v, const struct field_path *p, struct field_errors *e);
void validate_cidr(struct str v, const struct field_path *p, struct field_errors *e);
/* Not unspecified, loopback or link-local. */
void validate_endpoint_ip(struct str v, const struct field_path *p, struct field_errors *e);
/* A warning when the address is valid but not canonical; {NULL,0} when it is. `path` is shown in
 * front. */
struct str ip_warning(struct arena *a, const struct field_path *p, struct str v);
struct str_vec cidr_warnings(struct arena *a, const struct field_path *p, struct str v);

#endif

/*
 * service_books.h: which cluster IPs and node ports are taken: in memory, made from the stored
 * services when first asked, and kept up with IPAddress objects. Cluster IPs come from the server's
 * own ranges and from those of ServiceCIDRs that are ready.
 *
 * Thread-safe. What a commit did not need after all must be given back (…_release); dry runs only
 * look.
 */
#ifndef SAMPAN_RESOURCES_SERVICE_BOOKS_H
#define SAMPAN_RESOURCES_SERVICE_BOOKS_H

#include "apiserver/validation/ip.h"
#include "store/store.h"

struct service_books;

enum { FAMILY_V4, FAMILY_V6, FAMILIES };

/* ranges: "10.254.0.0/16", or two of different families with a comma. Broken ones are an error
 * (400). */
int service_books_new(const char *ranges, int port_min, int port_max, struct service_books **ret,
	struct err *err);
void service_books_free(struct service_books *b);

/* Of the server's own ranges: the family of the first, and whether there is one of a family. */
int service_books_primary(const struct service_books *b);
bool service_books_has(const struct service_books *b, int family);
void service_books_range(const struct service_books *b, int family, struct ip_net *ret);

/* Before each allocation: what has changed since the last time, ServiceCIDRs, IPAddresses and,
 * where other API servers share the store, Services. */
void service_books_load(struct service_books *b, struct store *store);

enum book_result { BOOK_OK, BOOK_TAKEN, BOOK_OUT_OF_RANGE, BOOK_FULL };

/* A given address. look: changes nothing. */
enum book_result service_books_take_ip(
	struct service_books *b, const struct ip_addr *ip, bool look);
/* Any free one, away from the low band that is for addresses asked for. `seed` is random. */
enum book_result service_books_next_ip(
	struct service_books *b, int family, uint64_t seed, struct ip_addr *ret);
void service_books_release_ip(struct service_books *b, const struct ip_addr *ip);

enum book_result service_books_take_port(struct service_books *b, int port, bool look);
/* Any free one, above the low band. */
enum book_result service_books_next_port(struct service_books *b, uint64_t seed, int *ret);
void service_books_release_port(struct service_books *b, int port);
/* A byte for each port of the range: 1 where a Service has it or is about to. */
void service_books_ports(struct service_books *b, uint8_t *ret);
void service_books_port_range(const struct service_books *b, int *min, int *max);

#endif

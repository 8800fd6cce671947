/*
 * ip_book.h: which addresses of one range are taken. Ranges may overlap: whoever has several books
 * tells each of them.
 */
#ifndef SAMPAN_RESOURCES_IP_BOOK_H
#define SAMPAN_RESOURCES_IP_BOOK_H

#include "apiserver/resources/offset_set.h"
#include "apiserver/validation/ip.h"

struct ip_book {
	struct ip_net net;
	bool own;                /* one that the server was started with; else a ServiceCIDR's */
	bool ready;              /* addresses may be given away */
	uint64_t size;           /* usable addresses: offsets 1 … size */
	struct offset_set taken; /* by Services */
	struct offset_set named; /* by IPAddress objects */
};

void ip_book_init(struct ip_book *book, const struct ip_net *net);
void ip_book_release(struct ip_book *book);
/* 0: not a usable address of the range. */
uint64_t ip_book_offset(const struct ip_book *book, const struct ip_addr *ip);
struct ip_addr ip_book_address(const struct ip_book *book, uint64_t offset);
bool ip_book_is_taken(const struct ip_book *book, uint64_t offset);
/* Any free one, away from the low band that is for addresses asked for; 0: full. `seed` is random.
 */
uint64_t ip_book_any(const struct ip_book *book, uint64_t seed);

#endif

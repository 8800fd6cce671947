#include "apiserver/resources/ip_book.h"

enum {
	BAND_MAX = 256, /* the low part of the range that dynamic allocation spares */
	BAND_MIN = 16,
	BAND_DIVISOR = 16,
	HOST_BITS_MAX = 20, /* of an IPv6 range, as upstream: more are not used */
};

void ip_book_init(struct ip_book *book, const struct ip_net *net)
{
	int host_bits = MIN((net->ip.v4 ? 32 : 128) - net->bits, net->ip.v4 ? 31 : HOST_BITS_MAX);

	*book = (struct ip_book){.net = *net};
	/* Neither the network's own address nor, of IPv4, that of all hosts */
	book->size = (1ULL << host_bits) - (net->ip.v4 ? 2 : 1);
}

void ip_book_release(struct ip_book *book)
{
	offset_set_release(&book->taken);
	offset_set_release(&book->named);
}

/* The low 64 bits are enough: a range has at most HOST_BITS_MAX or 31 bits of hosts. */
static uint64_t low_bits(const struct ip_addr *ip)
{
	uint64_t v = 0;

	for (int i = ip->v4 ? 0 : 8; i < (ip->v4 ? 4 : 16); i++)
		v = v << 8 | ip->b[i];
	return v;
}

uint64_t ip_book_offset(const struct ip_book *book, const struct ip_addr *ip)
{
	uint64_t offset;

	if (!ip_net_contains(&book->net, ip))
		return 0;
	offset = low_bits(ip) - low_bits(&book->net.network);
	return offset <= book->size ? offset : 0;
}

struct ip_addr ip_book_address(const struct ip_book *book, uint64_t offset)
{
	struct ip_addr ip = book->net.network;

	for (int i = ip.v4 ? 3 : 15; offset; i--) {
		uint64_t sum = ip.b[i] + (offset & 0xff);

		ip.b[i] = (uint8_t)sum;
		offset = (offset >> 8) + (sum >> 8);
	}
	return ip;
}

bool ip_book_is_taken(const struct ip_book *book, uint64_t offset)
{
	return offset_set_has(&book->taken, offset) || offset_set_has(&book->named, offset);
}

/* A free offset of from … to, the first at or behind a random one; 0: none. */
static uint64_t free_offset(const struct ip_book *book, uint64_t from, uint64_t to, uint64_t seed)
{
	uint64_t n = to >= from ? to - from + 1 : 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t offset = from + (seed % n + i) % n;
		if (!ip_book_is_taken(book, offset))
			return offset;
	}
	return 0;
}

uint64_t ip_book_any(const struct ip_book *book, uint64_t seed)
{
	uint64_t all = book->size + 2, offset;
	uint64_t band = MIN(MAX(BAND_MIN, all / BAND_DIVISOR), BAND_MAX);

	if (all <= BAND_MIN)
		band = 0; /* too small to spare any */
	offset = free_offset(book, band + 1, book->size, seed);
	return offset ? offset : free_offset(book, 1, band, seed);
}

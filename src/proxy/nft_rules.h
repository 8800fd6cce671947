/*
 * nft_rules.h: services in nftables mode, as text in nft's language.
 *
 * Everything lives in the tables `ip sampan_proxy` and `ip6 sampan_proxy`, services' chains in
 * sampan_proxy_0 to _7. A packet to a service
 * address finds its chain in one map lookup, however many services there are; the chain draws an
 * endpoint. So an endpoint more or less rewrites one chain, and what it costs does not depend on
 * how many services there are.
 */
#ifndef SAMPAN_PROXY_NFT_RULES_H
#define SAMPAN_PROXY_NFT_RULES_H

#include "proxy/backend.h"

#define NFT_TABLE "sampan_proxy"
/* The kernel checks all chains of a table whenever a rule of it changes: services are spread over
 * tables of their own, so that it checks an eighth. */
enum { NFT_SHARDS = 8 };
extern const char *const nft_shards[NFT_SHARDS]; /* "sampan_proxy_0" … */

enum nft_kind { NFT_SET, NFT_CHAIN, NFT_ELEMENT, NFT_HAIRPIN };

/* What services share. */
struct nft_shared {
	struct map hairpins; /* address -> how many use it */
	struct map claims;   /* "ip services KEY" -> struct nft_claim *: who wants an element */
	struct map stale; /* "chain ip TABLE NAME", "set …": unused, to be deleted by nft_tidy */
};
void nft_shared_release(struct nft_shared *s);

/* The items of one service (of one family), appended. */
void nft_render(const struct proxy_config *c, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a);
/* nft commands that make `before` into `after`; nothing when they are equal. Chains that are no
 * longer used are emptied and remembered as stale: kernels before 6.2 cannot delete a chain in the
 * transaction that removes what refers to it. */
void nft_diff(struct nft_shared *s, const struct ruleset *before, const struct ruleset *after,
	struct buf *nft);
/* Deletes what is stale. */
void nft_tidy(struct nft_shared *s, struct buf *nft);
/* The tables, their maps and base chains; what is there stays. Beside iptables: packets pass them
 * after those of iptables, and a chain of that name marks the tables. */
enum nft_place { NFT_ALONE, NFT_BESIDE_IPTABLES };
#define NFT_BESIDE_IPTABLES_MARK "beside_iptables"
void nft_base(const struct proxy_config *c, bool ipv6, enum nft_place place, struct buf *nft);
/* Empties the maps that services fill. */
void nft_flush_maps(bool ipv6, struct buf *nft);

/* Removes all of it, whether or not it is there. */
void nft_delete_tables(bool ipv6, struct buf *nft);

#endif

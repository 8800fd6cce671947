/*
 * nft_table.h: a table of nftables as a value: sets, maps and chains, and the text that takes the
 * kernel from what it was told last to what the value is now. A change of one element writes one
 * element, however large the set. Pure: the text goes wherever the caller sends it.
 *
 *     nft_table_put(t, "peers", "10.0.0.1", NULL);
 *     nft_table_changes(t, &buf);          // "add element inet x peers { 10.0.0.1 }"
 *     … run it; on failure nft_table_forget(t), and the next text begins with an empty table
 */
#ifndef SAMPAN_NETWORK_NFT_TABLE_H
#define SAMPAN_NETWORK_NFT_TABLE_H

#include "base/map.h"

struct nft_table;

/* name: "inet sampan_policy"; base: text inside the table that never changes and comes last (base
 * chains), which may name sets and chains that exist from the start. */
struct nft_table *nft_table_new(const char *name, const char *base);
void nft_table_free(struct nft_table *t);

/* Declares a set or map ("type ipv4_addr", "type ipv4_addr : verdict"); nothing when it is there.
 */
void nft_table_add_set(struct nft_table *t, struct str name, const char *type);
void nft_table_delete_set(struct nft_table *t, struct str name); /* with its elements */
/* value: what a map's key leads to; empty in a set. */
void nft_table_put(struct nft_table *t, struct str set, struct str key, struct str value);
void nft_table_remove(struct nft_table *t, struct str set, struct str key);
/* The value of a key, valid until it changes; NULL when it is not there. */
const char *nft_table_get(const struct nft_table *t, struct str set, struct str key);
/* rules: one per line. Made when it is not there. */
void nft_table_set_chain(struct nft_table *t, struct str name, struct str rules);
void nft_table_delete_chain(struct nft_table *t, struct str name);

/* Appends the commands, as one transaction, and takes them as done. */
void nft_table_changes(struct nft_table *t, struct buf *nft);
/* What was told last got lost. */
void nft_table_forget(struct nft_table *t);

#endif

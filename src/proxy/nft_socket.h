/*
 * nft_socket.h: batches of changes to the kernel's nftables, and questions to it, over netlink.
 * Blocks until the kernel has answered, which it does at once. One thread.
 */
#ifndef SAMPAN_PROXY_NFT_SOCKET_H
#define SAMPAN_PROXY_NFT_SOCKET_H

#include "base/base.h"

struct nlmsghdr;
struct nft_socket;

/* -EPERM and others with err: no nftables here, or not allowed. */
int nft_socket_new(struct nft_socket **ret, struct err *err);
void nft_socket_free(struct nft_socket *s);

/* Messages are numbered within a batch, which the kernel carries out as a whole or not at all:
 *
 *     uint32_t seq = nft_batch_begin(&messages);
 *     …                                   // append; each takes seq++
 *     nft_batch_end(&messages, seq);
 *     r = nft_socket_send(s, buf_str(&messages), NULL, NULL, err);
 */
enum { NFT_BATCH_FIRST = 2 }; /* what nft_batch_begin returns */
uint32_t nft_batch_begin(struct buf *messages);
void nft_batch_end(struct buf *messages, uint32_t seq);

typedef void nft_message_fn(void *user_data, const struct nlmsghdr *h);

/* `echo` (may be NULL) gets what the kernel made of messages sent with NLM_F_ECHO. -errno with err
 * when it refused one. */
int nft_socket_send(struct nft_socket *s, struct str batch, nft_message_fn *echo, void *user_data,
	struct err *err);

/* Every object of a kind (NFT_MSG_GETCHAIN, GETSET, GETRULE) of one family; rules: of one chain.
 * What is not there has none. */
int nft_socket_dump(struct nft_socket *s, int type, bool ipv6, const char *table, const char *chain,
	nft_message_fn *fn, void *user_data);
/* Whether a chain is there; true when nobody can tell. */
bool nft_socket_has_chain(struct nft_socket *s, bool ipv6, const char *table, const char *chain);
/* Whether the kernel has a module of iptables for a match, as far as anybody can tell. */
bool nft_socket_has_match(struct nft_socket *s, const char *name, int revision);
/* -EPERM with err when the socket may change nothing. */
int nft_socket_may_change(struct nft_socket *s, struct err *err);
/* The number of the ruleset, which every change of anybody increments; 0 when unknown. */
uint32_t nft_socket_generation(struct nft_socket *s);

#endif

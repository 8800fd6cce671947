/*
 * nft_wire.h: the part of nft's language that services are written in (nft_rules.h), straight to
 * netlink messages.
 *
 * libnftables reads the whole ruleset from the kernel before each change, and takes seconds for ten
 * thousand services; this takes the time of the change alone. What it does not understand is left
 * to libnftables.
 */
#ifndef SAMPAN_PROXY_NFT_WIRE_H
#define SAMPAN_PROXY_NFT_WIRE_H

#include "base/base.h"

/* Appends messages to a batch (nft_socket.h) that do what the commands (one per line) say. -ENOTSUP
 * when a line is not understood: then the batch is incomplete. */
int nft_wire_append(struct str commands, uint32_t *seq, struct buf *messages);

#endif

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

/* Appends one nfnetlink batch that does what the commands (one per line) say. -ENOTSUP when a line
 * is not understood: then `messages` is incomplete. */
int nft_wire_assemble(struct str commands, struct buf *messages);

#endif

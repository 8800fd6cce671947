/* nft_run.h: text in nft's language to the kernel. Blocks for milliseconds. Any thread. */
#ifndef SAMPAN_NETWORK_NFT_RUN_H
#define SAMPAN_NETWORK_NFT_RUN_H

#include "base/base.h"

/* All of the commands (NUL-terminated) or none; nothing of libnftables is kept. */
int nft_run(struct str commands, struct err *err);

#endif

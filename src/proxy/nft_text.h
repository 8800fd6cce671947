/* nft_text.h: nft's language to libnftables, which reads much of the kernel's ruleset first: for
 * what is written once, and nft_wire.h does not know. */
#ifndef SAMPAN_PROXY_NFT_TEXT_H
#define SAMPAN_PROXY_NFT_TEXT_H

#include "base/base.h"

/* All of the commands (NUL-terminated) or none. */
int nft_run_text(struct str commands, struct err *err);

#endif

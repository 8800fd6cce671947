/* iptables_run.h: the programs of the iptables package, of both families. They block for
 * milliseconds; callers are on the proxy's own loop. */
#ifndef SAMPAN_PROXY_IPTABLES_RUN_H
#define SAMPAN_PROXY_IPTABLES_RUN_H

#include "base/base.h"

/* Whether iptables-restore and iptables-save (of IPv6: ip6tables-…) are installed. */
bool iptables_installed(bool ipv6);
/* Whether they are of the variant that keeps its tables in nftables. */
int iptables_variant(bool *ret_nft, struct err *err);
/* iptables-restore --noflush: all of a table's changes or none. */
int iptables_restore(bool ipv6, struct str input, struct err *err);
/* What iptables-save prints, appended. */
int iptables_save(bool ipv6, struct buf *ret, struct err *err);
/* Whether a chain is there. */
bool iptables_has_chain(bool ipv6, const char *table, const char *chain);

#endif

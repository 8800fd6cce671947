#include "network/nft_run.h"

#include <malloc.h>
#include <nftables/libnftables.h>

/* A context is made anew each time, which takes a part of a millisecond: one that is kept holds the
 * kernel's whole ruleset, more than half a megabyte for each table there is, whoever owns it. */
int nft_run(struct str commands, struct err *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;
	int r;

	if (!nft)
		return err_errno(err, ENOMEM, "cannot open nftables");
	nft_ctx_buffer_error(nft);
	r = nft_run_cmd_from_buffer(nft, commands.p);
	said = nft_ctx_get_error_buffer(nft);
	if (r < 0)
		r = err_fmt(err, 500, "InternalError", "nftables: %.500s", said ? said : "failed");
	nft_ctx_free(nft);
	malloc_trim(0);
	return r;
}

#include "proxy/nft_text.h"

#include <nftables/libnftables.h>

int nft_run_text(struct str commands, struct err *err)
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
	return r;
}

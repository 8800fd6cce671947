#include "apiserver/subresource.h"

void handle_proxy_subresource(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};

	err_fmt(&err, 501, "", "%s/%s is not served", r->res->plural, r->sub->name);
	respond_error(r, &err);
}

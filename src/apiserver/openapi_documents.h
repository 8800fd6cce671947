/* openapi_documents.h: the OpenAPI documents of a server, written when first asked for. Any thread.
 */
#ifndef SAMPAN_APISERVER_OPENAPI_DOCUMENTS_H
#define SAMPAN_APISERVER_OPENAPI_DOCUMENTS_H

#include <stdbool.h>

struct openapi_documents;
struct request;

struct openapi_documents *openapi_documents_new(void);
void openapi_documents_free(struct openapi_documents *d);
/* True when the path is one of them, and the request is answered. */
bool handle_openapi(struct request *r);

#endif

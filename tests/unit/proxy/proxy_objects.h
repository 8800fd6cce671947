/* Objects for the proxy's tests, from JSON. */
#include "proxy/nft_rules.h"
#include "proxy/service.h"

static inline void *decoded(const struct schema_type *type, struct arena *a, const char *text)
{
	struct err err CLEANUP(err_release) = {0};
	void *v = NULL;

	if (schema_decode_json(type, str_c(text), a, NULL, &v, &err) < 0)
		fail_msg("%s: %s", text, err_text(&err));
	return v;
}

static inline struct proxy_service view_of(
	struct arena *a, const char *svc_text, const char *slice_text, bool ipv6)
{
	const struct discovery_v1_endpoint_slice *one =
		slice_text ? decoded(&discovery_v1_endpoint_slice_schema, a, slice_text) : NULL;
	const struct proxy_place place = {S("n1"), S("z1")};
	struct proxy_service view;

	proxy_service_from(decoded(&v1_service_schema, a, svc_text), &one, one ? 1 : 0, &place,
		ipv6, a, &view);
	return view;
}

#define SVC(port_more, spec_more)                                                                  \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"clusterIP\":"         \
	"\"10.254.0.5\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80" port_more    \
	"}]" spec_more "}}"
#define SLICE(endpoints)                                                                           \
	"{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":"      \
	"8080}],\"endpoints\":[" endpoints "]}"
#define EP_ON(node, ip, conditions, more)                                                          \
	"{\"addresses\":[\"" ip "\"],\"nodeName\":\"" node "\",\"conditions\":{" conditions "}" more  \
	"}"
#define EP(ip, conditions) EP_ON("n1", ip, conditions, "")

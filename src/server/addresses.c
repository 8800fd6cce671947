#include "server/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static struct str address_text(struct arena *a, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (sa && sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, text, sizeof(text));
	else if (sa && sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr, text,
			sizeof(text));
	return text[0] ? arena_strc(a, text) : (struct str){0};
}

/* The interface of the IPv4 default route, from /proc/net/route; false when there is none. */
static bool default_interface(char name[IF_NAMESIZE])
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[512], iface[64];
	unsigned long destination, mask;
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lx %*x %*x %*d %*d %*d %lx", iface, &destination, &mask) ==
				3 &&
			destination == 0 && mask == 0) {
			snprintf(name, IF_NAMESIZE, "%.15s", iface);
			found = true;
		}
	}
	fclose(f);
	return found;
}

struct str address_of_machine(struct arena *a)
{
	char iface[IF_NAMESIZE] = "";
	struct str found = {0};
	struct ifaddrs *all;
	bool exact = false;

	if (getifaddrs(&all) < 0)
		return S("127.0.0.1");
	default_interface(iface);
	for (struct ifaddrs *i = all; i && !exact; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
			(i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
			continue;
		exact = !strcmp(i->ifa_name, iface);
		if (!found.n || exact)
			found = address_text(a, i->ifa_addr);
	}
	freeifaddrs(all);
	return found.n ? found : S("127.0.0.1");
}

void addresses_all(struct arena *a, struct str_vec *ret)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct str text = address_text(a, i->ifa_addr);

		if (text.n && !str_vec_has(ret, text))
			ARENA_PUSH(a, ret, text);
	}
	freeifaddrs(all);
}

int address_in_range(struct arena *a, struct str cidr, uint32_t n, struct str *ret)
{
	unsigned char bytes[16];
	char text[INET6_ADDRSTRLEN];
	struct str first, rest, ip, bits;
	int family;

	str_cut(cidr, ',', &first, &rest);
	str_cut(first, '/', &ip, &bits);
	family = str_chr(ip, ':') >= 0 ? AF_INET6 : AF_INET;
	if (inet_pton(family, arena_cstr(a, ip), bytes) != 1)
		return -EINVAL;
	for (int i = (family == AF_INET ? 4 : 16) - 1; n; i--, n >>= 8) {
		uint32_t sum;

		if (i < 0)
			return -ERANGE;
		sum = bytes[i] + (n & 0xff);
		bytes[i] = sum;
		n += sum & ~0xffu;
	}
	inet_ntop(family, bytes, text, sizeof(text));
	*ret = arena_strc(a, text);
	return 0;
}

bool address_is_ip(struct str s)
{
	char text[64];
	unsigned char bytes[16];

	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

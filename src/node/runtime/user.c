#include "node/runtime/user.h"

struct passwd_entry {
	struct str name, home;
	int64_t uid, gid;
};

/* The next line's fields, up to n; false at the end. */
static bool next_line(struct str *text, struct str *fields, size_t n)
{
	struct str line;

	while (text->n) {
		size_t i = 0;
		bool more = true;

		str_cut(*text, '\n', &line, text);
		for (; i < n && more; i++)
			more = str_cut(line, ':', &fields[i], &line);
		if (i == n)
			return true;
	}
	return false;
}

/* By name, or by uid when name is empty. */
static bool find_passwd(struct str passwd, struct str name, int64_t uid, struct passwd_entry *ret)
{
	struct str f[6];

	while (next_line(&passwd, f, ARRAY_SIZE(f))) {
		struct passwd_entry e = {.name = f[0], .home = f[5]};

		if (str_to_i64(f[2], &e.uid) < 0 || str_to_i64(f[3], &e.gid) < 0)
			continue;
		if (name.n ? !str_eq(e.name, name) : e.uid != uid)
			continue;
		*ret = e;
		return true;
	}
	return false;
}

static bool find_group(struct str group, struct str name, int64_t *ret)
{
	struct str f[3];

	while (next_line(&group, f, ARRAY_SIZE(f)))
		if (str_eq(f[0], name) && str_to_i64(f[2], ret) == 0)
			return true;
	return false;
}

static bool has_group(const struct user_ids *u, int64_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return true;
	return false;
}

static void add_group(struct arena *a, struct user_ids *u, int64_t gid)
{
	struct {
		int64_t *v;
		size_t n;
	} groups = {u->groups, u->n_groups};

	if (has_group(u, gid))
		return;
	ARENA_PUSH(a, &groups, gid);
	u->groups = groups.v;
	u->n_groups = groups.n;
}

static bool listed(struct str members, struct str name)
{
	struct str head;
	bool more = true;

	while (more) {
		more = str_cut(members, ',', &head, &members);
		if (str_eq(head, name))
			return true;
	}
	return false;
}

/* The groups that /etc/group puts this name in (supplementalGroupsPolicy Merge). */
static void add_member_groups(
	struct arena *a, struct str group, struct str name, struct user_ids *u)
{
	struct str f[4];
	int64_t gid;

	while (next_line(&group, f, ARRAY_SIZE(f)))
		if (listed(str_trim(f[3]), name) && str_to_i64(f[2], &gid) == 0)
			add_group(a, u, gid);
}

static int unknown(const char *what, struct str name, struct err *err)
{
	return err_bad_request(err, "unable to find %s " STR_FMT ": no matching entries in %s file",
		what, STR_ARG(name), *what == 'u' ? "passwd" : "group");
}

/* "user[:group]", each a name or a number. */
static int from_text(struct str text, struct str passwd, struct str group, struct passwd_entry *e,
	struct user_ids *u, bool *ret_has_gid, struct err *err)
{
	struct str user, group_name;
	bool with_group = str_cut(text, ':', &user, &group_name);
	bool found;

	if (str_to_i64(user, &u->uid) == 0) {
		found = find_passwd(passwd, (struct str){0}, u->uid, e);
	} else {
		found = find_passwd(passwd, user, 0, e);
		if (!found)
			return unknown("user", user, err);
		u->uid = e->uid;
	}
	u->gid = found ? e->gid : 0;
	*ret_has_gid = with_group && group_name.n;
	if (*ret_has_gid && str_to_i64(group_name, &u->gid) < 0 &&
		!find_group(group, group_name, &u->gid))
		return unknown("group", group_name, err);
	return 0;
}

int user_resolve(const struct cri_user *u, struct str image_user, struct str passwd,
	struct str group, struct arena *a, struct user_ids *ret, struct err *err)
{
	struct passwd_entry e = {0};
	struct user_ids ids = {0};
	bool has_gid = false;
	int r;

	if (u->run_as_user) {
		ids.uid = *u->run_as_user;
		ids.gid = find_passwd(passwd, (struct str){0}, ids.uid, &e) ? e.gid : 0;
	} else {
		struct str text = u->run_as_username.n ? u->run_as_username : image_user;

		r = from_text(text.n ? text : S("0"), passwd, group, &e, &ids, &has_gid, err);
		if (r < 0)
			return r;
	}
	if (u->run_as_group)
		ids.gid = *u->run_as_group;
	if (ids.uid < 0 || ids.gid < 0 || ids.uid > UINT32_MAX || ids.gid > UINT32_MAX)
		return err_bad_request(err, "user or group id out of range");
	add_group(a, &ids, ids.gid);
	if (e.name.n && !u->supplemental_groups_strict)
		add_member_groups(a, group, e.name, &ids);
	for (size_t i = 0; i < u->n_supplemental_groups; i++)
		add_group(a, &ids, u->supplemental_groups[i]);
	ids.home = e.home.n && e.home.p[0] == '/' ? arena_str(a, e.home) : S("/");
	*ret = ids;
	return 0;
}

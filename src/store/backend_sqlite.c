/*
 * backend_sqlite.c: the default: one SQLite file that holds the current state and nothing else, so
 * there is nothing to compact.
 *
 *     object(id, resource, json)   id: the revision that created the key; resource: "pods",
 * "deployments.apps" mark(name, revision)         "reserved": revisions up to it may have been
 * given out; "pods": the newest deletion of a pod, which no row can show
 *
 * WAL with synchronous=FULL: a transaction that was committed survives a pulled plug. The
 * write-ahead log is folded back every WAL_PAGES pages by the commit that passes the mark; nobody
 * else has the file open, so that always succeeds and the log stays small.
 */
#include "store/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	APPLICATION_ID = 0x53616d70, /* "Samp" */
	FORMAT = 1,                  /* of the tables, in user_version */
	RESOURCE_NAME_MAX = 320,     /* plural and group are DNS names */
};

enum statement { BEGIN, COMMIT, ROLLBACK, PUT, DELETE, MARK, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PUT] = "INSERT INTO object(id, resource, json) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(id) DO UPDATE SET json = excluded.json",
	[DELETE] = "DELETE FROM object WHERE id = ?1",
	[MARK] = "INSERT INTO mark(name, revision) VALUES (?1, ?2)"
		 " ON CONFLICT(name) DO UPDATE SET revision = excluded.revision",
};

static const char setup_sql[] = "PRAGMA locking_mode = EXCLUSIVE;" /* no shared memory file */
				"PRAGMA journal_mode = WAL;"
				"PRAGMA synchronous = FULL;"
				"PRAGMA wal_autocheckpoint = 1000;"
				"PRAGMA journal_size_limit = 8388608;"
				"PRAGMA cache_size = -1024;"
				"PRAGMA temp_store = MEMORY;";

static const char create_sql[] =
	"BEGIN IMMEDIATE;"
	"PRAGMA application_id = 1398893936;"
	"PRAGMA user_version = 1;"
	"CREATE TABLE object(id INTEGER PRIMARY KEY, resource TEXT NOT NULL, json BLOB NOT NULL);"
	"CREATE TABLE mark(name TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;"
	"COMMIT;";

struct sqlite_backend {
	struct store_backend backend;
	sqlite3 *db;
	sqlite3_stmt *statements[N_STATEMENTS];
	char *path;
	int lock_fd;
};

static struct sqlite_backend *sqlite_backend(struct store_backend *b)
{
	return container_of(b, struct sqlite_backend, backend);
}

static int sqlite_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	default:
		return EIO;
	}
}

/* The text is SQLite's: it tells "disk I/O error" from "database disk image is malformed". */
static int fail(struct sqlite_backend *b, struct err *err)
{
	int rc = sqlite3_extended_errcode(b->db);

	err_fmt(err, 500, "InternalError", "%s: %s (%s)", b->path, sqlite3_errmsg(b->db),
		sqlite3_errstr(rc));
	return -sqlite_errno(rc);
}

static int step(struct sqlite_backend *b, enum statement which, struct err *err)
{
	sqlite3_stmt *st = b->statements[which];
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(b, err);

	sqlite3_reset(st);
	return r;
}

static int put(struct sqlite_backend *b, const struct backend_write *w, struct err *err)
{
	sqlite3_stmt *st = b->statements[PUT];
	char name[RESOURCE_NAME_MAX];
	int n = snprintf(name, sizeof(name), *w->resource->group ? "%s.%s" : "%s",
		w->resource->plural, w->resource->group);
	int r;

	assert(n > 0 && n < RESOURCE_NAME_MAX);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)w->created);
	sqlite3_bind_text(st, 2, name, n, SQLITE_STATIC);
	sqlite3_bind_blob64(st, 3, w->object->json.p, w->object->json.n, SQLITE_STATIC);
	r = step(b, PUT, err);
	sqlite3_clear_bindings(st);
	return r;
}

static int mark(
	struct sqlite_backend *b, const char *name, int n, uint64_t revision, struct err *err)
{
	sqlite3_stmt *st = b->statements[MARK];
	int r;

	sqlite3_bind_text(st, 1, name, n, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)revision);
	r = step(b, MARK, err);
	sqlite3_clear_bindings(st);
	return r;
}

static int put_deleted(struct sqlite_backend *b, const struct backend_write *w, struct err *err)
{
	char name[RESOURCE_NAME_MAX];
	int r, n;

	sqlite3_bind_int64(b->statements[DELETE], 1, (sqlite3_int64)w->created);
	r = step(b, DELETE, err);
	if (r < 0 || w->revision == 0)
		return r;
	n = snprintf(name, sizeof(name), *w->resource->group ? "%s.%s" : "%s", w->resource->plural,
		w->resource->group);
	assert(n > 0 && n < RESOURCE_NAME_MAX);
	return mark(b, name, n, w->revision, err);
}

/* After a failure the transaction may or may not be open still: SQLite rolls some errors back by
 * itself. */
static int end(struct sqlite_backend *b, int r, struct err *err)
{
	if (r == 0)
		r = step(b, COMMIT, err);
	if (r < 0 && !sqlite3_get_autocommit(b->db))
		step(b, ROLLBACK, NULL);
	return r;
}

static int backend_commit(
	struct store_backend *backend, const struct backend_write *w, size_t n, struct err *err)
{
	struct sqlite_backend *b = sqlite_backend(backend);
	int r = step(b, BEGIN, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = w[i].object ? put(b, &w[i], err) : put_deleted(b, &w[i], err);
	return end(b, r, err);
}

static int backend_reserve(struct store_backend *backend, uint64_t revision, struct err *err)
{
	struct sqlite_backend *b = sqlite_backend(backend);

	return mark(b, "reserved", -1, revision, err); /* a transaction of its own */
}

/* "deployments.apps" -> plural and group */
static struct str column_resource(sqlite3_stmt *st, int column, struct str *ret_group)
{
	struct str name = {
		(const char *)sqlite3_column_text(st, column), sqlite3_column_bytes(st, column)};
	struct str plural;

	if (!str_cut(name, '.', &plural, ret_group))
		*ret_group = S("");
	return plural;
}

static int load_marks(
	struct sqlite_backend *b, struct backend_loader *l, uint64_t *ret_reserved, struct err *err)
{
	uint64_t reserved = 0;
	sqlite3_stmt *st;
	int rc;

	if (sqlite3_prepare_v2(b->db, "SELECT name, revision FROM mark", -1, &st, NULL) !=
		SQLITE_OK)
		return fail(b, err);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct str group, plural = column_resource(st, 0, &group);
		uint64_t revision = (uint64_t)sqlite3_column_int64(st, 1);

		if (str_eq(plural, S("reserved")))
			reserved = revision;
		else
			l->deleted(l, group, plural, revision);
	}
	rc = rc == SQLITE_DONE ? 0 : fail(b, err);
	sqlite3_finalize(st);
	if (rc == 0)
		*ret_reserved = reserved;
	return rc;
}

static int backend_load(struct store_backend *backend, struct backend_loader *l,
	uint64_t *ret_reserved, struct err *err)
{
	struct sqlite_backend *b = sqlite_backend(backend);
	sqlite3_stmt *st;
	int rc, r = 0;

	if (sqlite3_prepare_v2(b->db, "SELECT id, resource, json FROM object", -1, &st, NULL) !=
		SQLITE_OK)
		return fail(b, err);
	while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		struct str group, plural, json;

		if (rc != SQLITE_ROW) {
			r = fail(b, err);
			break;
		}
		plural = column_resource(st, 1, &group);
		json.p = sqlite3_column_blob(st, 2);
		json.n = sqlite3_column_bytes(st, 2);
		r = l->object(l, (uint64_t)sqlite3_column_int64(st, 0), group, plural, json, err);
	}
	sqlite3_finalize(st);
	return r < 0 ? r : load_marks(b, l, ret_reserved, err);
}

static void backend_close(struct store_backend *backend)
{
	struct sqlite_backend *b = sqlite_backend(backend);

	for (int i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(b->statements[i]);
	sqlite3_close(b->db); /* folds the write-ahead log back and removes it */
	if (b->lock_fd >= 0)
		close(b->lock_fd);
	free(b->path);
	free(b);
}

static const struct store_backend_ops sqlite_ops = {
	.name = "sqlite",
	.load = backend_load,
	.commit = backend_commit,
	.reserve = backend_reserve,
	.close = backend_close,
};

/* --- opening --- */

/* flock rather than SQLite's own locks: those do not keep two stores of one process apart. */
static int lock_database(struct sqlite_backend *b, struct err *err)
{
	char *path = xasprintf("%s.lock", b->path);
	int r = 0;

	b->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->lock_fd < 0) {
		r = err_errno(err, errno, "%s", path);
	} else if (flock(b->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		if (r == -EWOULDBLOCK) {
			r = -EBUSY;
			err_fmt(err, 500, "InternalError", "%s is in use by another server",
				b->path);
		} else {
			err_errno(err, -r, "%s", path);
		}
	}
	free(path);
	return r;
}

/* SQLite would make it readable for all, and it holds secrets. */
static int create_file(struct sqlite_backend *b, struct err *err)
{
	int fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, errno, "%s", b->path);
	close(fd);
	return 0;
}

static int exec_sql(struct sqlite_backend *b, const char *sql, struct err *err)
{
	return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(b, err);
}

static int pragma(struct sqlite_backend *b, const char *sql, int *ret, struct err *err)
{
	sqlite3_stmt *st;
	int r = 0;

	if (sqlite3_prepare_v2(b->db, sql, -1, &st, NULL) != SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW)
		r = fail(b, err);
	else
		*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return r;
}

static int check_format(struct sqlite_backend *b, struct err *err)
{
	int id, version, pages, r;

	if ((r = pragma(b, "PRAGMA page_count", &pages, err)) < 0 ||
		(r = pragma(b, "PRAGMA application_id", &id, err)) < 0 ||
		(r = pragma(b, "PRAGMA user_version", &version, err)) < 0)
		return r;
	if (id == 0 && version == 0 && pages <= 1) /* new; switching to WAL writes the first page */
		return exec_sql(b, create_sql, err);
	if (id != APPLICATION_ID) {
		err_fmt(err, 500, "InternalError", "%s is not a database of sampan", b->path);
		return -EINVAL;
	}
	if (version != FORMAT) {
		err_fmt(err, 500, "InternalError", "%s has format %d, this program knows format %d",
			b->path, version, FORMAT);
		return -EINVAL;
	}
	return 0;
}

static int prepare(struct sqlite_backend *b, struct err *err)
{
	for (int i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(b->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &b->statements[i], NULL) != SQLITE_OK)
			return fail(b, err);
	return 0;
}

static int open_database(struct sqlite_backend *b, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int r;

	if ((r = lock_database(b, err)) < 0 || (r = create_file(b, err)) < 0)
		return r;
	if (sqlite3_open_v2(b->path, &b->db, flags, NULL) != SQLITE_OK)
		return fail(b, err);
	if ((r = exec_sql(b, setup_sql, err)) < 0 || (r = check_format(b, err)) < 0)
		return r;
	return prepare(b, err);
}

int backend_sqlite_open(const char *path, struct store_backend **ret, struct err *err)
{
	struct sqlite_backend *b = xcalloc(1, sizeof(*b));
	int r;

	b->backend.ops = &sqlite_ops;
	b->path = xstrdup(path);
	b->lock_fd = -1;
	r = open_database(b, err);
	if (r < 0) {
		backend_close(&b->backend);
		return r;
	}
	*ret = &b->backend;
	return 0;
}

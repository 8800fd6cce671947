/* libraries.h: what images need of libcurl and libarchive, opened when the first image comes. */
#ifndef SAMPAN_IMAGE_LIBRARIES_H
#define SAMPAN_IMAGE_LIBRARIES_H

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>

#include "base/library.h"

#define LIBCURL_FUNCTIONS(F)                                                                       \
	F(curl, easy_cleanup)                                                                      \
	F(curl, easy_escape)                                                                       \
	F(curl, easy_getinfo)                                                                      \
	F(curl, easy_init)                                                                         \
	F(curl, easy_perform)                                                                      \
	F(curl, easy_reset)                                                                        \
	F(curl, easy_setopt)                                                                       \
	F(curl, easy_strerror)                                                                     \
	F(curl, free)                                                                              \
	F(curl, global_cleanup)                                                                    \
	F(curl, global_init)                                                                       \
	F(curl, slist_append)                                                                      \
	F(curl, slist_free_all)

#define LIBARCHIVE_FUNCTIONS(F)                                                                    \
	F(archive, entry_filetype)                                                                 \
	F(archive, entry_gid)                                                                      \
	F(archive, entry_hardlink)                                                                 \
	F(archive, entry_mtime)                                                                    \
	F(archive, entry_mtime_nsec)                                                               \
	F(archive, entry_pathname)                                                                 \
	F(archive, entry_perm)                                                                     \
	F(archive, entry_rdev)                                                                     \
	F(archive, entry_symlink)                                                                  \
	F(archive, entry_uid)                                                                      \
	F(archive, entry_xattr_next)                                                               \
	F(archive, entry_xattr_reset)                                                              \
	F(archive, error_string)                                                                   \
	F(archive, read_data_block)                                                                \
	F(archive, read_free)                                                                      \
	F(archive, read_new)                                                                       \
	F(archive, read_next_header)                                                               \
	F(archive, read_open)                                                                      \
	F(archive, read_support_format_empty)                                                      \
	F(archive, read_support_format_tar)                                                        \
	F(archive, set_error)

extern struct libcurl {
	LIBCURL_FUNCTIONS(LIBRARY_MEMBER)
} libcurl;
extern struct libarchive {
	LIBARCHIVE_FUNCTIONS(LIBRARY_MEMBER)
} libarchive;

/* Before the first use, any thread, as often as you like. -ELIBACC with err. */
int libcurl_open(struct err *err);
int libarchive_open(struct err *err);

#endif

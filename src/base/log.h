/* log.h: one line per event on stderr. Libraries return errors and do not log; loops and programs log. */
#ifndef SAMPAN_LOG_H
#define SAMPAN_LOG_H

#include "base/str.h"

enum log_level { LOG_SILENT = -1, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
extern enum log_level log_level; /* the one global; set at start from --v */
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_level >= LOG_DEBUG ? log_at(LOG_DEBUG, __VA_ARGS__) : (void)0)

#endif

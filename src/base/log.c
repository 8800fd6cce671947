#include "base/base.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum log_level log_level = LOG_INFO;

void log_at(enum log_level level, const char *fmt, ...)
{
	char line[4096];
	struct timespec now;
	struct tm tm;
	va_list ap;
	size_t n;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = snprintf(line, sizeof(line), "%c%02d%02d %02d:%02d:%02d.%06ld ", "EWID"[level],
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n = MIN(n, sizeof(line) - 2);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nowhere left to say it */
}

/* Runs a fuzz target over the files of a corpus folder, once each: what `make test` does. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
		perror(path);
		return 1;
	}
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, f) != (size_t)size) {
		perror(path);
		return 1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *e;
	DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
	int n = 0, failed = 0;

	if (!dir) {
		fprintf(stderr, "no corpus: %s\n", argc > 1 ? argv[1] : "(none named)");
		return 1;
	}
	while ((e = readdir(dir))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		failed += run_file(path);
		n++;
	}
	closedir(dir);
	printf("%d inputs\n", n);
	return failed || n == 0;
}

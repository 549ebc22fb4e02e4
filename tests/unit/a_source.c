/*
 * A source of its own for each test, below /tmp. It is removed by rm, which walks deeper than PATH_MAX.
 */
#include "tests/unit/a_source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char scratch_path[64], source_path[80], cache_path[80];

int make_source(void **state)
{
    (void)state;
    strcpy(scratch_path, "/tmp/runsfs-test.XXXXXX");
    if (!mkdtemp(scratch_path) || chmod(scratch_path, 0755) < 0)
        return -1;
    snprintf(source_path, sizeof(source_path), "%s/source", scratch_path);
    snprintf(cache_path, sizeof(cache_path), "%s/cache", scratch_path);
    return mkdir(source_path, 0755);
}

int remove_source(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -rf -- '%s'", scratch_path);
    return system(command);
}

int make_source_of_nobody(void **state)
{
    return make_source(state) || (geteuid() == 0 && (chown(source_path, 65534, 65534) || seteuid(65534)));
}

int remove_source_of_nobody(void **state)
{
    return (getuid() == 0 && seteuid(0)) || remove_source(state);
}

void shell(const char *format, ...)
{
    char command[1024], whole[1200];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_in_range(length, 0, sizeof(command) - 1);
    snprintf(whole, sizeof(whole), "cd %s && { %s; }", source_path, command);
    assert_int_equal(system(whole), 0);
}

void make_run(const char *path, const char *status)
{
    shell("mkdir -p '%s' && printf '{\"verification_status\": \"%s\"}' > '%s/metrics.json'", path, status,
          path);
}

struct keeper *open_keeper(const struct keeper_options *options)
{
    struct keeper *keeper;
    assert_int_equal(keeper_open(source_path, options, &keeper), 0);
    return keeper;
}

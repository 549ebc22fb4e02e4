/*
 * Parsing the command line: see options.h. What is not ours goes on to libfuse, which knows the kernel's
 * mount options.
 */
#include "fs/options.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef RUNSFS_VERSION
#define RUNSFS_VERSION "0"
#endif

/* What fuse_opt fills in; turned into struct options when all is read. */
struct raw_options {
    char *source, *mount_point, *watch, *log_level, *low_latency, *index_cache;
    int foreground, debug, help, version, single_thread, read_only, to_syslog, autocommit;
    unsigned poll_interval_ms, descriptors, max_threads;
};

#define OPTION(text, member)                          \
    {                                                 \
        text, offsetof(struct raw_options, member), 1 \
    }

static const struct fuse_opt option_table[] = {
    OPTION("-h", help),
    OPTION("--help", help),
    OPTION("-V", version),
    OPTION("--version", version),
    OPTION("-f", foreground),
    OPTION("-d", debug),
    OPTION("debug", debug),
    OPTION("-s", single_thread),
    OPTION("ro", read_only),
    OPTION("syslog", to_syslog),
    OPTION("autocommit", autocommit),
    OPTION("watch=%s", watch),
    OPTION("log=%s", log_level),
    OPTION("low_latency=%s", low_latency),
    OPTION("index_cache=%s", index_cache),
    OPTION("poll_ms=%u", poll_interval_ms),
    OPTION("fds=%u", descriptors),
    OPTION("max_threads=%u", max_threads),
    FUSE_OPT_KEY("ro", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_KEY("-d", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_KEY("debug", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_END,
};

static const char help_text[] =
    "usage: runsfs [options] SOURCE MOUNTPOINT\n"
    "\n"
    "Shows SOURCE, a directory of runs (<framework>/<run-id>/), at MOUNTPOINT as runs/, with its views\n"
    "by-status/ and by-framework/, and keeps its manifest true. Unmount with fusermount3 -u or umount.\n"
    "\n"
    "    -f                  stay in the foreground, log to stderr\n"
    "    -d, -o debug        the same, and print every request\n"
    "    -s                  one thread\n"
    "    -h, --help          print this\n"
    "    -V, --version       print the version\n"
    "    -o ro               change nothing, the manifest on disk included\n"
    "    -o autocommit       commit each run to Git when it is completed or its status changes\n"
    "    -o allow_other      let other users in; mounted by root, each with just the rights the source gives "
    "him\n"
    "    -o watch=KIND       auto, fanotify, inotify or poll (auto)\n"
    "    -o poll_ms=N        how often to look at what can't be watched (1000)\n"
    "    -o index_cache=DIR  where to keep what was read, for a faster start; or none (runsfs in the user's\n"
    "                        XDG cache directory)\n"
    "    -o fds=N            descriptors to hold at most (256)\n"
    "    -o max_threads=N    worker threads at most (10)\n"
    "    -o low_latency=KIND auto, or off: let idle processors sleep while requests come fast (auto)\n"
    "    -o log=LEVEL        error, warning, info or debug (warning)\n"
    "    -o syslog           log to the system log also in the foreground\n"
    "\n"
    "Other options (-o dev, suid, nosuid, noatime, auto_unmount, ...) are those of mount(8) and libfuse.\n";

static int handle_argument(void *data, const char *argument, int key, struct fuse_args *out)
{
    struct raw_options *raw = data;
    (void)out;
    if (key != FUSE_OPT_KEY_NONOPT)
        return 1;
    char **place = !raw->source ? &raw->source : !raw->mount_point ? &raw->mount_point : NULL;
    if (!place) {
        fprintf(stderr, "runsfs: %s: one argument too many; give SOURCE and MOUNTPOINT\n", argument);
        return -1;
    }
    *place = memory_copy_text(argument, strlen(argument));
    return 0;
}

static int parse_watch(const char *name, enum watch_backend *watch)
{
    for (enum watch_backend backend = WATCH_AUTO; name && backend <= WATCH_POLL; backend++)
        if (strcmp(name, watch_backend_name(backend)) == 0) {
            *watch = backend;
            return 0;
        }
    return name ? -EINVAL : 0;
}

static int check(const struct raw_options *raw, struct options *options)
{
    if (!raw->source || !raw->mount_point) {
        fprintf(stderr, "runsfs: give SOURCE and MOUNTPOINT; runsfs -h tells more\n");
        return -EINVAL;
    }
    if (raw->autocommit && raw->read_only) {
        fprintf(stderr, "runsfs: autocommit: changes the repository, which ro forbids; give one of them\n");
        return -EINVAL;
    }
    if (parse_watch(raw->watch, &options->watch) != 0) {
        fprintf(stderr, "runsfs: watch=%s: give auto, fanotify, inotify or poll\n", raw->watch);
        return -EINVAL;
    }
    if (raw->log_level && log_level_from_name(raw->log_level, &options->log_level) != 0) {
        fprintf(stderr, "runsfs: log=%s: give error, warning, info or debug\n", raw->log_level);
        return -EINVAL;
    }
    bool off = raw->low_latency && strcmp(raw->low_latency, "off") == 0;
    if (raw->low_latency && !off && strcmp(raw->low_latency, "auto") != 0) {
        fprintf(stderr, "runsfs: low_latency=%s: give auto or off\n", raw->low_latency);
        return -EINVAL;
    }
    options->low_latency = !off;
    if (raw->max_threads < 1 || raw->max_threads > 64) {
        fprintf(stderr, "runsfs: max_threads=%u: give 1 to 64\n", raw->max_threads);
        return -EINVAL;
    }
    unsigned set_aside = LIMIT_DESCRIPTORS_SET_ASIDE + raw->max_threads * LIMIT_DESCRIPTORS_PER_THREAD;
    if (raw->descriptors < 2 * set_aside) {
        fprintf(stderr, "runsfs: fds=%u: at least %u are needed with %u threads\n", raw->descriptors,
                2 * set_aside, raw->max_threads);
        return -EINVAL;
    }
    options->descriptors = raw->descriptors - set_aside;
    return 0;
}

/* One real path, or a line that says what is wrong with it. */
static char *resolve(const char *path, const char *what)
{
    char *resolved = realpath(path, NULL);
    if (!resolved)
        fprintf(stderr, "runsfs: %s: %s; give %s that exists\n", path, strerrordesc_np(errno), what);
    return resolved;
}

static int take_over(struct raw_options *raw, struct options *options)
{
    options->foreground = raw->foreground || raw->debug;
    options->single_thread = raw->single_thread;
    options->read_only = raw->read_only;
    options->to_syslog = raw->to_syslog;
    options->autocommit = raw->autocommit;
    options->poll_interval_ms = raw->poll_interval_ms;
    options->max_threads = raw->max_threads;
    options->no_index_cache = raw->index_cache && strcmp(raw->index_cache, "none") == 0;
    if (raw->index_cache && !options->no_index_cache)
        options->index_cache = memory_copy_text(raw->index_cache, strlen(raw->index_cache));
    if (raw->debug)
        options->log_level = LOG_LEVEL_DEBUG;
    options->source = resolve(raw->source, "a directory of runs");
    /* Not resolved here: a mount point on which a killed daemon's mount still stands can't be looked at. */
    options->mount_point =
        options->source ? memory_copy_text(raw->mount_point, strlen(raw->mount_point)) : NULL;
    return options->source ? 0 : -EINVAL;
}

int options_parse(int count, char **arguments, struct options *options)
{
    struct raw_options raw = {.descriptors = LIMIT_DESCRIPTORS, .max_threads = 10};
    *options = (struct options){
        .log_level = LOG_LEVEL_WARNING,
        .mount_arguments = FUSE_ARGS_INIT(0, NULL),
    };
    for (int i = 0; i < count; i++)
        fuse_opt_add_arg(&options->mount_arguments, arguments[i]);
    int result = -EINVAL;
    if (fuse_opt_parse(&options->mount_arguments, &raw, option_table, handle_argument) == 0) {
        if (raw.help) {
            fputs(help_text, stdout);
            result = 1;
        } else if (raw.version) {
            printf("runsfs %s, libfuse %s\n", RUNSFS_VERSION, fuse_pkgversion());
            result = 1;
        } else {
            result = check(&raw, options);
            if (result == 0)
                result = take_over(&raw, options);
        }
    }
    free(raw.source);
    free(raw.mount_point);
    free(raw.watch);
    free(raw.log_level);
    free(raw.low_latency);
    free(raw.index_cache);
    return result;
}

void options_free(struct options *options)
{
    free(options->source);
    free(options->mount_point);
    free(options->index_cache);
    fuse_opt_free_args(&options->mount_arguments);
}

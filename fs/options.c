/*
 * Parsing the command line: see options.h. What is not ours goes on to libfuse, which knows the kernel's
 * mount options.
 */
#include "fs/options.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef RUNSFS_VERSION
#define RUNSFS_VERSION "0"
#endif

/* What fuse_opt fills in; turned into struct options when all is read. */
struct raw_options {
    char *source, *mount_point, *watch, *log_level, *low_latency, *index_cache;
    char *poll_interval_ms, *descriptors, *max_threads, *max_read;
    int foreground, debug, help, version, single_thread, read_only, to_syslog, autocommit;
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
    OPTION("poll_ms=%s", poll_interval_ms),
    OPTION("fds=%s", descriptors),
    OPTION("max_threads=%s", max_threads),
    OPTION("max_read=%s", max_read),
    FUSE_OPT_KEY("max_read=", FUSE_OPT_KEY_KEEP),
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

/* Of mount(8)'s options those that say nothing to a FUSE mount: they are for mount(8) itself, or the kernel
 * has them as its default there, or leaves what they are about to the filesystem. mount(8) passes some on all
 * the same, and libfuse has never heard of them. What would be a promise if it were accepted (nosymfollow) is
 * not among them. */
static bool is_without_meaning(const char *option)
{
    static const char *const names[] = {
        "defaults",   "auto",       "noauto",      "fail",          "nofail",   "_netdev",    "user",
        "nouser",     "users",      "nousers",     "owner",         "noowner",  "group",      "nogroup",
        "relatime",   "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime", "lazytime",
        "nolazytime", "iversion",   "noiversion",  "mand",          "nomand",   "silent",     "loud",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(option, names[i]) == 0)
            return true;
    /* Comments, and what is for systemd and the like. */
    return strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0;
}

static int handle_argument(void *data, const char *argument, int key, struct fuse_args *out)
{
    struct raw_options *raw = data;
    (void)out;
    if (key == FUSE_OPT_KEY_OPT)
        return is_without_meaning(argument) ? 0 : 1;
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

/* A number in digits, and nothing behind them; where there is none, what `number` has stays. */
static int parse_number(const char *name, const char *text, unsigned least, unsigned most, unsigned *number)
{
    if (!text)
        return 0;
    size_t digits = strspn(text, "0123456789");
    unsigned long value = digits && digits < 10 && !text[digits] ? strtoul(text, NULL, 10) : ULONG_MAX;
    if (value < least || value > most) {
        fprintf(stderr, "runsfs: %s=%s: give a number from %u to %u\n", name, text, least, most);
        return -EINVAL;
    }
    *number = (unsigned)value;
    return 0;
}

static int check_numbers(const struct raw_options *raw, struct options *options)
{
    options->max_threads = 10;
    if (parse_number("max_threads", raw->max_threads, 1, LIMIT_WORKERS, &options->max_threads) != 0 ||
        parse_number("poll_ms", raw->poll_interval_ms, 1, LIMIT_POLL_INTERVAL_MAX_MS,
                     &options->poll_interval_ms) != 0 ||
        parse_number("max_read", raw->max_read, (unsigned)sysconf(_SC_PAGESIZE), LIMIT_REQUEST_BYTES,
                     &options->max_read) != 0)
        return -EINVAL;
    unsigned set_aside = LIMIT_DESCRIPTORS_SET_ASIDE + options->max_threads * LIMIT_DESCRIPTORS_PER_THREAD;
    unsigned descriptors = LIMIT_DESCRIPTORS;
    if (parse_number("fds", raw->descriptors, 1, LIMIT_DESCRIPTORS_MAX, &descriptors) != 0)
        return -EINVAL;
    if (descriptors < 2 * set_aside) {
        fprintf(stderr, "runsfs: fds=%u: at least %u are needed with %u threads\n", descriptors,
                2 * set_aside, options->max_threads);
        return -EINVAL;
    }
    options->open_files = descriptors;
    options->descriptors = descriptors - set_aside;
    return 0;
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
    return check_numbers(raw, options);
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
    struct raw_options raw = {0};
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
    free(raw.poll_interval_ms);
    free(raw.descriptors);
    free(raw.max_threads);
    free(raw.max_read);
    return result;
}

void options_free(struct options *options)
{
    free(options->source);
    free(options->mount_point);
    free(options->index_cache);
    fuse_opt_free_args(&options->mount_arguments);
}

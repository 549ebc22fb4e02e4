/*
 * `runs`, the command: what its parts share. main.c holds the table of commands, every command stands in a
 * file of its own (cmd_*.c) and knows nothing of the others.
 */
#ifndef RUNSFS_CLI_CLI_H
#define RUNSFS_CLI_CLI_H

#include "core/config/config.h"
#include "core/keeper/keeper.h"

/* The exit status of every command. */
enum cli_status {
    CLI_OK = 0,
    CLI_FINDING = 1, /* no match, or something was found that is not as it should be */
    CLI_ERROR = 2,
};

/* The options that a command may take; -C and --help are everyone's. */
enum cli_option {
    CLI_OPTION_JSON = 1 << 0,
    CLI_OPTION_PATHS = 1 << 1,
    CLI_OPTION_NUL = 1 << 2,
    CLI_OPTION_FIX = 1 << 3,
    CLI_OPTION_YES = 1 << 4,
    CLI_OPTION_KEEP_FILES = 1 << 5,
    CLI_OPTION_APPARENT_SIZE = 1 << 6,
    CLI_OPTION_SINCE = 1 << 7,
    CLI_OPTION_CSV = 1 << 8,
    CLI_OPTION_SVG = 1 << 9,
    CLI_OPTION_PNG = 1 << 10,
    CLI_OPTION_DIFF = 1 << 11,
};

/* What a command takes besides options. */
enum cli_argument {
    CLI_ARGUMENT_NONE,
    CLI_ARGUMENT_RUN,         /* one run, as pick.h reads it */
    CLI_ARGUMENT_ONE_OR_ALL,  /* one run, or none for all */
    CLI_ARGUMENT_RUNS,        /* one or more */
    CLI_ARGUMENT_RUNS_IF_ANY, /* one or more, or none for all that are meant */
    CLI_ARGUMENT_DIRECTORY,   /* one directory, or none */
    CLI_ARGUMENT_QUERY,       /* predicates, as many as there are */
    CLI_ARGUMENT_VERBATIM,    /* all that follows its name, be it like options or not */
};

struct cli_options {
    const char *directory;                              /* of -C; NULL without */
    unsigned set;                                       /* enum cli_option */
    const char *since, *svg_file, *png_file, *revision; /* of the options that have a value, where set */
    bool help, version;
    char **arguments; /* of the command; as many as its `argument` says */
    int argument_count;
};

struct command {
    const char *name;
    const char *summary; /* a line of `runs --help`; NULL for a command that is not for people */
    const char *help;    /* what `runs NAME --help` prints */
    unsigned accepts;    /* enum cli_option */
    enum cli_argument argument;
    enum cli_status (*run)(const struct cli_options *options);
};

extern const struct command command_find;
extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_du;
extern const struct command command_check;
extern const struct command command_rebuild;
extern const struct command command_remove;
extern const struct command command_init;
extern const struct command command_log;
extern const struct command command_progress;
extern const struct command command_commit;
extern const struct command command_complete;

/* ---- main.c ---- */

/* Every command, in the order in which people are told of them; ends with NULL. */
extern const struct command *const commands[];

/* ---- options.c ---- */

/* An option that has a name, and the letter where it has one. */
struct cli_option_name {
    const char *name; /* NULL for one that is a letter alone */
    char letter;      /* 0 for none */
    unsigned option;  /* enum cli_option; 0 for -h and -V, which are everyone's */
    const char *summary;
    const char *value;   /* what follows it: "DATE"; NULL for one that has no value */
    size_t value_offset; /* where in struct cli_options that goes */
};
/* All but -C; ends with one that has neither name nor letter. */
extern const struct cli_option_name cli_option_names[];

/* Reads options into options, which keeps what it has, and returns the place of the first argument that is
 * none; -EINVAL after an error was printed. command is NULL for the options before its name, where reading
 * ends at the first such argument; behind it they are moved to the end of arguments. */
int options_parse(int count, char **arguments, const struct command *command, struct cli_options *options);

/* ---- find_source.c ---- */

/* The directory that holds the runs which are meant: the one of -C (directory) or the current one, the
 * nearest above it that has a manifest, or runs/ in the mount that it stands in. Owned by the caller; NULL
 * after an error was printed. */
char *find_source(const char *directory);
/* The same, but of a mount the directory that it shows: where Git's own files are, too. */
char *find_source_on_disk(const char *directory);
/* Of a path in a mount of runsfs the directory that this shows, by the path with which it was mounted; NULL
 * of any other. Owned by the caller. */
char *source_behind_mount(const char *path);

/* ---- open.c ---- */

/* A keeper of the source that is meant, with no thread and no watch: what it knows is of the moment of
 * opening. Unless read_only the manifest is written where it is not true. With read_all every run is read, be
 * it in the index cache or not. NULL after an error was printed. */
struct keeper *open_source(const char *source_path, bool read_only, bool read_all);
/* The configuration of a source, which is open as source_fd; to be let go with config_unref. NULL after an
 * error was printed. */
struct config *open_config(int source_fd, const char *source_path);
/* Has the manifest that a writable keeper knows on disk, or an error printed. */
enum cli_status write_manifest(struct keeper *keeper, const char *source_path);

/* ---- output.c ---- */

/* One line "runs: ..." to stderr, without anything in it that steers a terminal. Says what to do. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes to stdout all that is in out. CLI_OK, or CLI_ERROR after an error was printed. */
enum cli_status cli_print(const struct buffer *out);
/* Columns of the terminal that stdout is; 0 where it is none. */
unsigned cli_terminal_width(void);
/* Is colour wanted on stdout: a terminal, and NO_COLOR not set? */
bool cli_wants_color(void);
/* Its rows; 0 where it is none. */
unsigned cli_terminal_height(void);

#endif

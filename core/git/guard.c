/*
 * The handler of SIGBUS: see guard.h.
 */
#include "core/git/guard.h"
#include "core/git/repository.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static _Thread_local volatile sig_atomic_t is_guarded;
static uintptr_t page_bytes;

/* Puts an empty page where the file has none any more; the instruction is then tried again. */
static void replace_page(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    (void)context;
    void *page = (void *)((uintptr_t)info->si_addr & ~(page_bytes - 1));
    if (!is_guarded || info->si_code != BUS_ADRERR ||
        mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        signal(number, SIG_DFL); /* tried again, it ends the process as it should */
    errno = saved_errno;
}

void guard_install(void)
{
    struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO | SA_RESTART};
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigaction(SIGBUS, &action, NULL);
}

void repository_guard_begin(void)
{
    is_guarded = 1;
}

void repository_guard_end(void)
{
    is_guarded = 0;
}

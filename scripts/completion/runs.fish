# Completion of `runs` for fish. What may stand there `runs complete` knows; here are fish's ways alone.

function __runs_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l typed ($words[1] complete $words[2..-1] 2>/dev/null)
    if test $status -eq 0
        printf '%s\n' $typed
    else
        __fish_complete_directories (commandline -ct)
    end
end

complete -c runs -f -a '(__runs_complete)'

# fish gives the current word as it was typed; with --tokenize, without quotes and backslashes.
function __aiozfs_complete
    set -l current (commandline --current-token --tokenize)
    set -q current[1]; or set current ''
    set -l before (commandline --current-process --cut-at-cursor --tokenize)
    AIOZFS_COMPLETE=fish aiozfs -- $before $current[1]
end
complete --keep-order --exclusive --command aiozfs --arguments '(__aiozfs_complete)'


# zsh gives words as they were typed, with quotes and backslashes. PREFIX has no open quote.
_aiozfs() {
    words=("${(@Q)words}")
    words[CURRENT]=${(Q)PREFIX}
    _clap_dynamic_completer_aiozfs
}
# As a file on fpath, this runs as the function at its first use.
if [[ ${funcstack[1]} == _aiozfs ]]; then
    _aiozfs "$@"
else
    compdef _aiozfs aiozfs
fi

//! The `aiozfs` command: nothing but [`aiozfs::cli::main`].

fn main() -> std::process::ExitCode {
    aiozfs::cli::main()
}

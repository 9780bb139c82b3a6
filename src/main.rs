//! The `nanna-cache` program; everything is in the library.

fn main() -> std::process::ExitCode {
    nanna_cache::cli::main()
}

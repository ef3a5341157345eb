//! Generates the messages from `contest.proto`, without protoc.

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../contest.proto");
    let descriptors = protox::compile(["../contest.proto"], [".."])?;
    prost_build::Config::new()
        // A reply's Content-Type names its message.
        .enable_type_names()
        .compile_fds(descriptors)?;
    Ok(())
}

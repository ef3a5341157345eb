//! Generates the messages from `teams.proto`, without protoc.

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../teams.proto");
    let descriptors = protox::compile(["../teams.proto"], [".."])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}

//! To come.
/// stub
pub fn parse_cid(_: &str) -> Result<String, String> {
    Err("stub".into())
}

fn main() {println!("hi");}

import Agent

let version = Version.current

import HTTPRules
import Testing

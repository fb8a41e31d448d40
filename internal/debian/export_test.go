package debian

// OpenSigned is Open with the keyring of one's choice.
var OpenSigned = open

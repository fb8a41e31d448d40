import type { components } from "./schema";

type Schemas = components["schemas"];

export type Record = Schemas["Record"];
export type HTTP = Schemas["HTTP"];
export type Message = Schemas["Message"];
export type TLS = Schemas["TLS"];
export type Field = Schemas["Field"];
export type Overview = Schemas["Overview"];
export type TrendPoint = Schemas["TrendPoint"];
export type Histogram = Schemas["Histogram"];
export type Import = Schemas["Import"];
export type System = Schemas["System"];
export type Session = Schemas["Session"];
export type Completion = Schemas["Completion"];
export type Dropped = Schemas["Dropped"];
export type Kind = Record["kind"];
export type Probe = Schemas["Probe"];
export type ProcessCoverage = Schemas["ProcessCoverage"];
export type FilterRules = Schemas["FilterRules"];
export type FilterRule = Schemas["FilterRule"];
export type FilterState = Schemas["ProbeFilterState"];
export type FilteredProcess = Schemas["FilteredProcess"];
export type User = Schemas["User"];
export type NewUser = Schemas["NewUser"];
export type Token = Schemas["Token"];
export type NewToken = Schemas["NewToken"];
export type AuditEntry = Schemas["AuditEntry"];

/// apiextensions.k8s.io.
let extensionSchemas = #"""
  type CustomResourceDefinition # Makes a new kind known to the server.
    metadata: ObjectMeta
    spec!: CRDSpec
    status: CRDStatus
  type CRDSpec
    group!: string pattern=@dns1123Subdomain # The API group of the kind.
    names!: CRDNames # How the kind is called.
    scope!: string enum(Cluster,Namespaced) # Whether its objects live in namespaces.
    versions!: [CRDVersion] minItems=1 # The versions of the kind.
    conversion: object
    preserveUnknownFields: bool
  type CRDNames
    plural!: string pattern=@dns1123Label
    singular: string
    kind!: string
    listKind: string
    shortNames: [string]
    categories: [string]
  type CRDVersion
    name!: string pattern=@dns1123Label
    served!: bool
    storage!: bool
    deprecated: bool
    deprecationWarning: string
    schema: CRDValidation
    subresources: CRDSubresources
    additionalPrinterColumns: [CRDColumn]
    selectableFields: [CRDSelectableField]
  type CRDValidation
    openAPIV3Schema: object # The schema of the objects.
  type CRDSubresources
    status: object
    scale: object
  type CRDColumn
    name!: string
    type!: string enum(integer,number,string,boolean,date)
    format: string
    description: string
    priority: int32
    jsonPath!: string
  type CRDSelectableField
    jsonPath!: string
  type CRDStatus
    conditions: [Condition] keys=type
    acceptedNames: CRDAcceptedNames
    storedVersions: [string]
  type CRDAcceptedNames open
    plural: string
    kind: string
  """#

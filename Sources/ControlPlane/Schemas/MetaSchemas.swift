/// Types that every kind shares.
let metaSchemas = #"""
  pattern dns1123Subdomain = ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$
  pattern dns1123Label = ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$

  type ObjectMeta # What every object carries: its name, its labels, its history.
    name: string # Unique within the namespace and kind; can not change.
    generateName: string # A prefix: the server appends a random suffix and uses the result as the name.
    namespace: string # The space within which the name is unique.
    uid: string # Tells this object from all others that had or will have its name. Set by the server.
    resourceVersion: string # The version of this object in the store; opaque to clients.
    generation: int64 # Counts the changes of the desired state.
    creationTimestamp: time # When the object was made.
    deletionTimestamp: time # When the deletion was asked for; the object goes once its finalizers are empty.
    deletionGracePeriodSeconds: int64 # How long the object may take to end.
    labels: {string} # Keys and values by which objects are selected.
    annotations: {string} # Keys and values for tools; not selectable.
    ownerReferences: [OwnerReference] keys=uid # What this object belongs to; it is removed with the last of them.
    finalizers: [string] set # Must be empty before the object is removed.
    managedFields: [ManagedFieldsEntry] # Which client set which field.
    selfLink: string # Unused.
  type OwnerReference atomic # An object that this one belongs to.
    apiVersion!: string # The API version of the owner.
    kind!: string # The kind of the owner.
    name!: string # The name of the owner.
    uid!: string # The uid of the owner.
    controller: bool # True for the owner that manages this object.
    blockOwnerDeletion: bool # With foreground deletion the owner waits for this object.
  type ManagedFieldsEntry # The fields that one client set.
    manager: string # The client.
    operation: string # Apply or Update.
    apiVersion: string # The API version in which the fields are named.
    time: time # The last change of this entry.
    fieldsType: string # FieldsV1.
    fieldsV1: object # The fields.
    subresource: string # The subresource that the client wrote.
  type LabelSelector atomic # Selects objects by their labels; all requirements must hold.
    matchLabels: {string} # Labels with these values.
    matchExpressions: [LabelSelectorRequirement] # Requirements on labels.
  type LabelSelectorRequirement # A requirement on one label.
    key!: string # The label.
    operator!: string # In, NotIn, Exists or DoesNotExist.
    values: [string] # The values of In and NotIn.
  type Condition # An aspect of the observed state.
    type!: string # The aspect.
    status!: string # True, False or Unknown.
    observedGeneration: int64 # The generation of the desired state that this condition is about.
    lastTransitionTime: time # When the status last changed.
    lastProbeTime: time # When the condition was last checked.
    lastHeartbeatTime: time # When the condition was last reported.
    lastUpdateTime: time # When the condition was last updated.
    reason: string # A word for the cause.
    message: string # A sentence for people.
  type ObjectReference open atomic # A pointer to another object.
    apiVersion: string
    kind: string
    namespace: string
    name: string
    uid: string
    resourceVersion: string
    fieldPath: string
  type LocalObjectReference atomic # A pointer to an object in the same namespace.
    name: string
  type TypedLocalObjectReference atomic
    apiGroup: string
    kind!: string
    name!: string
  """#

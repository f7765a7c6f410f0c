/** What the API for operators answers, by the names that the pages use. */

import type { components } from '../../services/api';

type Schemas = components['schemas'];

export type Activity = Schemas['Activity'];
export type Attempt = Schemas['Attempt'];
export type AuditEntry = Schemas['AuditEntry'];
export type AuditPage = Schemas['AuditPage'];
export type Connection = Schemas['Connection'];
export type ConnectionPage = Schemas['ConnectionPage'];
export type ConnectionStory = Schemas['ConnectionStory'];
export type Asked = Schemas['LeftAlone']['outcome'];
export type Dealt = Schemas['Dealt'];
export type DealtMany = Schemas['DealtMany'];
export type Delivery = Schemas['DeliveryView'];
export type DeliveryPage = Schemas['DeliveryPage'];
export type Draining = Schemas['Draining'];
export type EncryptionKey = Schemas['EncryptionKey'];
export type EncryptionKeys = Schemas['EncryptionKeys'];
export type Endpoint = Schemas['EndpointView'];
export type EndpointList = Schemas['EndpointList'];
export type EndpointWithSecret = Schemas['EndpointWithSecret'];
export type EventType = Delivery['type'];
export type FailedJob = Schemas['FailedJob'];
export type FailedJobPage = Schemas['FailedJobPage'];
export type FailedJobStory = Schemas['FailedJobStory'];
export type Line = Schemas['ActivitySeries'];
export type Many = Schemas['Many'];
export type Order = Schemas['Order'];
export type Overview = Schemas['Overview'];
export type Pause = Schemas['Pause'];
export type Paused = Schemas['Paused'];
export type Pauses = Schemas['Pauses'];
export type Process = Schemas['Process'];
export type Processes = Schemas['Processes'];
export type ProviderApp = Schemas['ProviderApp'];
export type Queue = Schemas['Queue'];
export type RefreshedMany = Schemas['RefreshedMany'];
export type ReplayedWebhooks = Schemas['Replayed'];
export type Resumed = Schemas['Resumed'];
export type Tried = Schemas['Tried'];
export type Undrained = Schemas['Undrained'];

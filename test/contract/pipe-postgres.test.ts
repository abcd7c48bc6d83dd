import { pipeContract } from './pipe-suite.ts';

pipeContract('postgres');

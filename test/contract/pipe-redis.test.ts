import { crashContract } from './crash-suite.ts';
import { pipeContract } from './pipe-suite.ts';

pipeContract('redis');
crashContract('redis', ['pop3', 'graph']);
